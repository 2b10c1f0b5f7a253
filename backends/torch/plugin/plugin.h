// What the daemon and its plugin for PyTorch say to each other: plain C, and nothing of the daemon, of Rust or of libtorch.
//
// src/abi.rs says the same in Rust. Whoever changes one changes the other, and the number; both check the layout.
//
// No function lets an exception out. Every function may be called by any thread, at the same time as any other; but nothing
// may be used while or after it is given back.
#pragma once

#include <stdint.h>

#define GRAPHPIPED_TORCH_ABI 4

// A model that is open.
typedef struct graphpiped_model graphpiped_model;
// A reference to a tensor of libtorch.
typedef struct graphpiped_tensor graphpiped_tensor;

// What a model file is.
enum { GRAPHPIPED_SCRIPT = 1, GRAPHPIPED_PACKAGE = 2 };

// Whose fault it is that something failed.
enum { GRAPHPIPED_MODEL = 1, GRAPHPIPED_FRAMEWORK = 2, GRAPHPIPED_MACHINE = 3 };

// Why something failed.
typedef struct {
    char *words;    // libtorch's own, in one line or several; to be given to free_words
    uint32_t fault; // 0 if nothing failed
} graphpiped_failure;

// How a model is to be opened. All of it is read during the call only.
typedef struct {
    const char *path;
    const char *const *outputs; // their names, in their order: what a model that gives a dictionary is asked for
    uint32_t outputs_count;
    uint32_t kind;
    uint32_t threads; // inside of one run, 1 at least
    uint32_t runners; // runs of a package that may go on at once; others wait for them
} graphpiped_open;

// An input of a run.
typedef struct {
    const void *start;   // the elements, without gaps; aligned to their size, and never null
    const int64_t *dims; // read during the call only; none is negative
    void *kept;          // what is given to `release`
    uint32_t rank;
    uint32_t dtype; // GraphPipe's number of the type
} graphpiped_input;

// An output of a run. `start` and `dims` live for as long as `tensor`, and are never written.
typedef struct {
    graphpiped_tensor *tensor; // to be given to free_tensor
    const void *start;         // the elements, without gaps; null if there are none
    const int64_t *dims;
    uint64_t bytes;
    uint32_t rank;
    uint32_t dtype; // GraphPipe's number of the type; 0 if it has none
} graphpiped_output;

// The functions of the plugin.
typedef struct {
    uint32_t abi;      // GRAPHPIPED_TORCH_ABI; whatever the number is, it stands here
    uint32_t reserved; // 0
    const char *torch; // the version of PyTorch that the plugin is built for
    // Opens a model; null if it failed.
    graphpiped_model *(*open)(const graphpiped_open *how, graphpiped_failure *failure);
    // What `forward` takes and gives, a line each: `in NAME REQUIRED WRITTEN TYPE` or `out - 1 0 TYPE`. A name that is not known
    // is `-`; REQUIRED and WRITTEN (whether the model may write into its inputs, which are copied for that) are 0 or 1; the
    // type is written as Python does. The line `state`, if a run may change what a later one sees, so that runs wait for each
    // other. To be given to free_words; null if it failed.
    char *(*describe)(const graphpiped_model *model, graphpiped_failure *failure);
    // Runs a model on all its inputs, in their order. Whatever becomes of the run, `release` is called exactly once with what
    // each input keeps: when the last reference to the memory is gone, by any thread, perhaps after the end of the call. The
    // memory of an input is only read. On success as many outputs are set as were named when the model was opened; on
    // failure none is.
    void (*run)(const graphpiped_model *model, const graphpiped_input *inputs, uint32_t inputs_count,
                void (*release)(void *kept), graphpiped_output *outputs, graphpiped_failure *failure);
    void (*close)(graphpiped_model *model);
    void (*free_tensor)(graphpiped_tensor *tensor);
    void (*free_words)(char *words);
    // Bytes of inputs and outputs that runs have copied, of all models, since the plugin was loaded.
    uint64_t (*copied_bytes)(void);
    // Bytes of memory that runs have given back and later ones will use.
    uint64_t (*kept_bytes)(void);
} graphpiped_plugin;

// The one symbol that the plugin exports; it never fails, and gives a static.
typedef const graphpiped_plugin *(*graphpiped_torch_plugin_function)(void);
