"""Numbered SQL files; monitors/store/migrate.py applies them."""
