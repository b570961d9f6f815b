"""The nouns everybody shares."""
