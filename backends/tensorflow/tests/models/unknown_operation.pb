

xPlaceholder*
dtype0

yNoSuchOperationx