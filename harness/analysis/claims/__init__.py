"""What the study claims, as tests of a pair of encoders (docs/claims.md)."""
