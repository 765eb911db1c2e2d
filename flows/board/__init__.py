"""What the dashboard asks and how it answers: one file a view's queries. `notebooks/dashboard.py` lays them out."""
