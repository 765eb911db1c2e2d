"""How people use the tables: the dashboard, and notebooks that also run as scripts."""
