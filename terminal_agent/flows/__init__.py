"""What a patient does at the kiosk: flows as data, a pure machine, and what the page shows."""
