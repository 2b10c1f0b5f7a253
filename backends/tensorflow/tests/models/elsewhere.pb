
F
xPlaceholder"/device:GPU:0*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
#
yNegx"/device:GPU:0*
T0"ª