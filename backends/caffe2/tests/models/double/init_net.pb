
double_init