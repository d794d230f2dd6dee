"""The lessons, one folder a notebook: experiments, figures, lab, exercises, and the tables that came with them."""
