"""`unskew bench`: the product's own speed, measured on projects made by tiling a real one."""
