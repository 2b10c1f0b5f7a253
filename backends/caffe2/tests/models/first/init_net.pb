

first_init