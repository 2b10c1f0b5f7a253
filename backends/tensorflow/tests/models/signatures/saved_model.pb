ª
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
shapeshape:"serve*2.21.02v2.21.0-rc1-5-ga481b10260d8Ç
h
inputPlaceholder*'
_output_shapes
:ÿÿÿÿÿÿÿÿÿ*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
H
negativeNeginput*
T0*'
_output_shapes
:ÿÿÿÿÿÿÿÿÿ

initNoOp"ª*
aliases‘
#
x
input:0ÿÿÿÿÿÿÿÿÿ&
y!

negative:0ÿÿÿÿÿÿÿÿÿ&
z!

negative:0ÿÿÿÿÿÿÿÿÿtensorflow/serving/predict*s
negatei
#
x
input:0ÿÿÿÿÿÿÿÿÿ&
y!

negative:0ÿÿÿÿÿÿÿÿÿtensorflow/serving/predict*—
same
#
x
input:0ÿÿÿÿÿÿÿÿÿ#
y
input:0ÿÿÿÿÿÿÿÿÿ&
z!

negative:0ÿÿÿÿÿÿÿÿÿtensorflow/serving/predict