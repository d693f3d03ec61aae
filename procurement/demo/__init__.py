"""The demo world: believable companies, a year of procedures, and bidders who use the public routes."""
