"""Services that others made, as nodes of Weir's chains."""
