"""What the pages share.

events        three ways an event may behave: refresh, act, stream
shared_state  what one tab hands to another
form          a spec's knobs as components, and back
components    frames of the studio's own components, headings
views         rows, conversations and problems as values of components
i18n          every text, in English and Chinese
formatting    counts, per cent and gigabytes in words
theme         colours, type and spacing of Gradio's own components
"""
