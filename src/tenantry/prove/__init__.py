"""The proof that a database obeys its access matrix."""

from tenantry.prove.fixtures.login import UnfitLogin
from tenantry.prove.matrix.executor import Progress
from tenantry.prove.matrix.markdown import proof_markdown
from tenantry.prove.matrix.prove import prove
from tenantry.prove.model import Cell, Check, MatrixRow, Proof

__all__ = ["Cell", "Check", "MatrixRow", "Progress", "Proof", "UnfitLogin", "proof_markdown", "prove"]
