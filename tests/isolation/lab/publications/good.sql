create publication lab_feed for table app.notes where (org_id = '6f3c1d6e-3c5a-4c7e-9b0a-0d4c2f1f7a11');
