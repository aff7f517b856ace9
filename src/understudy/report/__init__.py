"""Pages for people: self-contained HTML, made from records."""
