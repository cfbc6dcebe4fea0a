"""Pages that show fillings: one self-contained HTML file with a before/after slider for every picture."""
