"""What all features of Clinic stand on. It imports no feature, and of Tenantry only what is public."""
