"""What the dashboard asks and how it answers: one file a view's queries. `app.py` lays them out."""
