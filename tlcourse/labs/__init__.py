"""Labs: experiments with controls, one module a notebook."""
