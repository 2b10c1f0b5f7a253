
two_by_two_init