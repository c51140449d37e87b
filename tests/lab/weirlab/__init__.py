"""Hosts, guests and service nodes in network namespaces, with real programs in them."""
