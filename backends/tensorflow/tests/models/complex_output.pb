
7
xPlaceholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
'
cComplexxx*

Tout0*
T0

yNegx*
T0"ª