"""What makes what ships: the README's generated parts, the demo model, reference tables, the record of guards."""
