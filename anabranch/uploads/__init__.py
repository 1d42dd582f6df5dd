"""Upload big files in parallel parts, resumable after anything, every byte verified."""
