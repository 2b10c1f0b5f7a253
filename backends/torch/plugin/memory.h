// Memory of the tensors that runs make. Not which tensors those are, nor how many.
#pragma once

#include <cstddef>

namespace graphpiped {

// From now on libtorch asks here for memory of tensors. To be called once, before anything of libtorch's is.
void provide_memory();

// While it lives, large tensors that this thread makes are a run's: what is left of them is used by later runs.
class OfRun {
  public:
    OfRun();
    OfRun(const OfRun &) = delete;
    ~OfRun();
};

// Gives the system what no tensor has.
void let_go_of_memory();

// Bytes of what no tensor has.
size_t kept_memory();

} // namespace graphpiped
