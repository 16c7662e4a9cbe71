"""The basis of all features of Clinic. It imports no feature, and only public modules of Tenantry."""
