def wants_text(text):
    return False
