"""Deep SORT (Wojke et al., ICIP 2017), one module for each term of the paper."""
