
7
xPlaceholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
'
y
ComplexAbsx*

Tout0*
T0"ª