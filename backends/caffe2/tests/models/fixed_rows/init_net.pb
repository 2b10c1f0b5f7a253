
fixed_rows_init