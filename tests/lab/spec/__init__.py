"""Scenarios of spec service-plane §11 that need hosts."""
