"""What people read outside a notebook, and the cards inside: one set of templates, and the few words that fill them."""
