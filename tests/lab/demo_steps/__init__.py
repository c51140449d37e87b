"""The demo: one set-up, many steps, each with what is expected and the evidence."""
