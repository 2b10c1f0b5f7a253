à
®
0
Neg
x"T
y"T"
Ttype:
2
	

NoOp
C
Placeholder
output"dtype"
dtypetype"
shapeshape:"serve*2.21.02v2.21.0-rc1-5-ga481b10260d8¬
\
xPlaceholder*#
_output_shapes
:ÿÿÿÿÿÿÿÿÿ*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
9
yNegx*
T0*#
_output_shapes
:ÿÿÿÿÿÿÿÿÿ

initNoOp"ª