"""A demonstration of the insights: three years of made-up purchases, scored twice, with cards worked by two people."""
