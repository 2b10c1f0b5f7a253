
scalar_init