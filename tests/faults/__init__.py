"""The 64 fault tests: what each requires, what a run reached, and the page that shows both."""
