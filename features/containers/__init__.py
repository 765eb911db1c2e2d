"""Container formats: detection, promised sizes and completeness. Nothing is decoded."""
