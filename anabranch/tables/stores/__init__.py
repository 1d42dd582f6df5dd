"""The databases that records can go into, behind one interface."""
