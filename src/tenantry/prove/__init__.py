"""The proof that a database obeys its access matrix."""

from tenantry.prove.login import UnfitLogin
from tenantry.prove.markdown import proof_markdown
from tenantry.prove.model import Cell, Check, MatrixRow, Proof
from tenantry.prove.proof import prove
from tenantry.prove.stage import Progress

__all__ = ["Cell", "Check", "MatrixRow", "Progress", "Proof", "UnfitLogin", "proof_markdown", "prove"]
