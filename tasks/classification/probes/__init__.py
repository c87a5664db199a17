"""What is fitted on fixed features: linear heads, logistic regression, nearest neighbours."""
