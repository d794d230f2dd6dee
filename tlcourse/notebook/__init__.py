"""What every notebook shows things with: results, figures, tables, and the base of all labs."""
