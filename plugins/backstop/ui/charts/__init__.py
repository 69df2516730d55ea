"""Drawings as plain SVG: here where everything lies, in ``templates/charts.html`` how it looks.

Lengths are in units of the drawing's own width, which the page stretches to the window's.
"""
