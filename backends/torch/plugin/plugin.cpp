// PyTorch's C++ interface behind the few functions of plugin.h: opening models, running them, giving back what is lent.
//
// An input becomes a tensor over the caller's memory, whose last reference calls `release`; nothing is copied, unless the
// model might write into it. Runs of a model that changes itself wait for each other: libtorch does not lock what a module
// holds, so that one run would free what another one reads. An output is a reference to the tensor that the model gave, whose
// memory it is. What never will be here: what a model is said to take and give (the daemon's side compares), and batching.

#include "plugin.h"

#include "memory.h"

#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/passes/freeze_module.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/passes/remove_dropout.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/version.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <new>
#include <sstream>
#include <string>
#include <unordered_set>

static_assert(sizeof(graphpiped_failure) == 16 && offsetof(graphpiped_failure, fault) == 8);
static_assert(sizeof(graphpiped_open) == 32 && offsetof(graphpiped_open, outputs_count) == 16);
static_assert(sizeof(graphpiped_input) == 32 && offsetof(graphpiped_input, rank) == 24);
static_assert(sizeof(graphpiped_output) == 40 && offsetof(graphpiped_output, rank) == 32);
static_assert(sizeof(graphpiped_plugin) == 80 && offsetof(graphpiped_plugin, open) == 16);

namespace {

// What the daemon looks for in this file before it loads anything: a library of another version cannot be unloaded again.
#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
__attribute__((used)) const char MARK[] =
    "graphpiped-torch-plugin abi=" TEXT(GRAPHPIPED_TORCH_ABI) " torch=" TORCH_VERSION ";";

// The model does what it may not, in words of ours.
struct Refusal : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The types, each at GraphPipe's number of it, beginning at 1; there are no strings.
constexpr std::optional<at::ScalarType> TYPES[] = {
    at::kByte,  at::kChar, at::kUInt16, at::kShort,  at::kUInt32,  at::kInt,  at::kUInt64,
    at::kLong,  at::kHalf, at::kFloat,  at::kDouble, std::nullopt, at::kBool, at::kBFloat16,
};

at::ScalarType scalar_type(uint32_t dtype) {
    if (dtype < 1 || dtype > std::size(TYPES) || !TYPES[dtype - 1]) {
        throw Refusal("PyTorch has no type of GraphPipe's number " + std::to_string(dtype));
    }
    return *TYPES[dtype - 1];
}

uint32_t dtype_of(at::ScalarType type) {
    for (size_t index = 0; index < std::size(TYPES); index++) {
        if (TYPES[index] == type) {
            return static_cast<uint32_t>(index) + 1;
        }
    }
    return 0;
}

// How many threads a run may use is a setting of the thread that runs it; but for the pool of XNNPACK and QNNPACK, of which
// there is one in a process, as large as whoever set this last has asked for.
void use_threads(int wanted) {
    thread_local int set = 0;
    if (set != wanted) {
        at::set_num_threads(wanted);
        set = wanted;
    }
}

} // namespace

// One model, of either kind.
struct graphpiped_model {
    explicit graphpiped_model(const graphpiped_open &how) : threads(static_cast<int>(how.threads)) {
        for (uint32_t index = 0; index < how.outputs_count; index++) {
            outputs.emplace_back(how.outputs[index]);
        }
    }
    virtual ~graphpiped_model() = default;
    virtual std::string describe() const = 0;
    // The outputs, in the order of their names.
    virtual std::vector<at::Tensor> run(std::vector<at::Tensor> inputs) const = 0;
    // Whether it may write into its inputs.
    virtual bool writes() const { return false; }
    // Whether a run may change what a later one sees.
    virtual bool has_state() const { return false; }

    const int threads;
    std::vector<std::string> outputs;
    // Held by each run, and by whoever reads what it gave, if the model has state.
    mutable std::mutex one_at_a_time;
};

namespace {

struct Script final : graphpiped_model {
    explicit Script(const graphpiped_open &how) : graphpiped_model(how), module(torch::jit::load(how.path, at::kCPU)) {
        module.eval();
        const auto graph = analysed();
        writes_inputs = may_write(graph);
        changes_itself = may_change_itself(graph);
    }

    std::string describe() const override {
        const auto &schema = module.get_method("forward").function().getSchema();
        std::ostringstream lines;
        for (size_t index = 1; index < schema.arguments().size(); index++) {
            const auto &argument = schema.arguments()[index];
            lines << "in " << argument.name() << (argument.default_value() ? " 0 " : " 1 ") << writes() << ' '
                  << argument.type()->annotation_str() << '\n';
        }
        for (const auto &returned : schema.returns()) {
            lines << "out - 1 0 " << returned.type()->annotation_str() << '\n';
        }
        if (has_state()) {
            lines << "state\n";
        }
        return lines.str();
    }

    std::vector<at::Tensor> run(std::vector<at::Tensor> inputs) const override {
        std::vector<c10::IValue> stack;
        stack.reserve(inputs.size() + 1);
        for (auto &input : inputs) {
            stack.emplace_back(std::move(input));
        }
        return tensors_of(module.get_method("forward")(std::move(stack)));
    }

    bool writes() const override { return writes_inputs; }
    bool has_state() const override { return changes_itself; }

  private:
    // The graph of `forward`, as plain as it can be made. What only training does is left out of it, such as to count
    // batches; where that cannot be done, the graph is as it is.
    std::shared_ptr<torch::jit::Graph> analysed() const {
        std::shared_ptr<torch::jit::Graph> graph;
        try {
            graph = torch::jit::freeze_module(module).get_method("forward").graph()->copy();
        } catch (const std::exception &) {
            graph = module.get_method("forward").graph()->copy();
        }
        torch::jit::Inline(*graph);
        // It does nothing in a model that is not trained, and its result is its input.
        torch::jit::removeDropout(graph);
        return graph;
    }

    // To the analysis, all inputs may be one and the same memory, and that of an attribute which the model changes.
    static bool may_write(const std::shared_ptr<torch::jit::Graph> &graph) {
        const torch::jit::AliasDb aliases(graph);
        // The first input of the graph is the module itself.
        const auto inputs = graph->inputs().slice(1);
        const auto is_written = [&](const auto *input) { return aliases.hasWriters(input); };
        return hides_writes(*graph) || std::any_of(inputs.begin(), inputs.end(), is_written);
    }

    // Whether it sets an attribute, or changes the value of one where it is, such as a tensor or a list.
    static bool may_change_itself(const std::shared_ptr<torch::jit::Graph> &graph) {
        const torch::jit::AliasDb aliases(graph);
        const auto is_change = [&](const torch::jit::Node *node) {
            switch (node->kind()) {
            case c10::prim::GetAttr:
            // An attribute that seemed to be changed by nobody when the graph was made plain.
            case c10::prim::Constant:
                return aliases.hasWriters(node);
            case c10::prim::SetAttr:
            // What these do is not in this graph.
            case c10::prim::CallMethod:
            case c10::prim::CallFunction:
                return true;
            default:
                return false;
            }
        };
        return hides_writes(*graph) || aliases.hasWriters(graph->inputs()[0]) || any_node(*graph->block(), is_change);
    }

    // Whether it writes to anything, and has an operator whose result may be the memory of an argument although its signature
    // does not say so: the analysis takes that for new memory. Or whether a part of it runs beside the rest, whose writes are
    // taken into account only where the rest waits for it.
    static bool hides_writes(const torch::jit::Graph &graph) {
        static const std::unordered_set<std::string> SILENT = {
            "aten::set_",           "aten::set_data",       "aten::_unsafe_view",    "aten::dropout",
            "aten::alpha_dropout",  "aten::atleast_1d",     "aten::feature_dropout", "aten::feature_alpha_dropout",
            "aten::atleast_2d",     "aten::atleast_3d",     "aten::type_as",         "aten::broadcast_tensors",
            "aten::conj_physical",  "aten::meshgrid",       "aten::sum_to_size",     "aten::einsum",
            "aten::_cast_Byte",     "aten::_cast_Char",     "aten::_cast_Double",    "aten::_cast_Float",
            "aten::_cast_Half",     "aten::_cast_Int",      "aten::_cast_Long",      "aten::_cast_Short",
        };
        const auto is_silent = [](const torch::jit::Node *node) {
            return SILENT.count(node->kind().toQualString()) > 0;
        };
        const auto is_writing = [](const torch::jit::Node *node) {
            const auto *schema = node->maybeSchema();
            return schema != nullptr && schema->is_mutable();
        };
        const auto is_beside = [](const torch::jit::Node *node) { return node->kind() == c10::prim::fork; };
        return any_node(*graph.block(), is_beside) ||
               (any_node(*graph.block(), is_silent) && any_node(*graph.block(), is_writing));
    }

    // Whether a node of a block, or of a block within, is such a one.
    template <typename Is> static bool any_node(const torch::jit::Block &block, const Is &is) {
        const auto nodes = block.nodes();
        return std::any_of(nodes.begin(), nodes.end(), [&](const torch::jit::Node *node) {
            const auto blocks = node->blocks();
            return is(node) || std::any_of(blocks.begin(), blocks.end(),
                                           [&](const auto *within) { return any_node(*within, is); });
        });
    }

    std::vector<at::Tensor> tensors_of(const c10::IValue &value) const {
        if (value.isTensor()) {
            return {value.toTensor()};
        }
        std::vector<at::Tensor> tensors;
        if (value.isGenericDict()) {
            const auto dictionary = value.toGenericDict();
            for (const auto &name : outputs) {
                const auto found = dictionary.find(name);
                if (found == dictionary.end()) {
                    throw Refusal("the dictionary that forward gives has no `" + name + "`");
                }
                tensors.push_back(tensor_of(found->value()));
            }
        } else if (value.isTuple()) {
            for (const auto &element : value.toTupleRef().elements()) {
                tensors.push_back(tensor_of(element));
            }
        } else if (value.isList()) {
            for (const auto &element : value.toListRef()) {
                tensors.push_back(tensor_of(element));
            }
        } else {
            throw Refusal("forward gives a value of the type " + value.tagKind() +
                          ", and not a tensor, or a tuple, list or dictionary of them");
        }
        return tensors;
    }

    static at::Tensor tensor_of(const c10::IValue &value) {
        if (!value.isTensor()) {
            throw Refusal("forward gives a value of the type " + value.tagKind() + " where a tensor should be");
        }
        return value.toTensor();
    }

    torch::jit::Module module;
    bool writes_inputs = false;
    bool changes_itself = false;
};

// How many tensors there are in a tree that `torch.utils._pytree` has written: its leaves are those without a type.
size_t leaves(const std::string &tree) {
    size_t count = 0;
    for (auto at = tree.find("\"type\": null"); at != std::string::npos; at = tree.find("\"type\": null", at + 1)) {
        count++;
    }
    return count;
}

struct Package final : graphpiped_model {
    explicit Package(const graphpiped_open &how)
        : graphpiped_model(how), loader(how.path, "model", /*run_single_threaded=*/false, how.runners) {}

    std::string describe() const override {
        std::ostringstream lines;
        const auto spec = loader.get_call_spec();
        for (size_t side = 0; side < spec.size() && side < 2; side++) {
            for (size_t count = leaves(spec[side]); count > 0; count--) {
                lines << (side == 0 ? "in - 1 1 Tensor\n" : "out - 1 0 Tensor\n");
            }
        }
        return lines.str();
    }

    std::vector<at::Tensor> run(std::vector<at::Tensor> inputs) const override { return loader.run(inputs); }

    // An exported program may change its inputs, and its machine code does not say whether it does.
    bool writes() const override { return true; }

  private:
    // It has no method that is const; its runners have locks of their own.
    mutable torch::inductor::AOTIModelPackageLoader loader;
};

// Calls `release` for the inputs that no tensor has taken over.
class Remaining {
  public:
    Remaining(const graphpiped_input *inputs, uint32_t count, void (*release)(void *))
        : next(inputs), end(inputs + count), release(release) {}
    Remaining(const Remaining &) = delete;
    ~Remaining() {
        while (next != end) {
            release((next++)->kept);
        }
    }

    bool any() const { return next != end; }

    // A tensor over the memory of the next input.
    at::Tensor take() {
        const auto type = scalar_type(next->dtype);
        const auto &input = *next++;
        // The maker owns `kept` from here on, even if there will be no tensor. It never writes the memory.
        return at::for_blob(const_cast<void *>(input.start), at::IntArrayRef(input.dims, input.rank))
            .context(input.kept, release)
            .options(at::TensorOptions(type))
            .make_tensor();
    }

  private:
    const graphpiped_input *next;
    const graphpiped_input *const end;
    void (*const release)(void *);
};

// Bytes of inputs and outputs that were copied, by all models. Nothing hangs on it, so it is relaxed.
std::atomic<uint64_t> copied{0};

uint64_t copied_bytes() { return copied.load(std::memory_order_relaxed); }

uint64_t kept_bytes() { return graphpiped::kept_memory(); }

// A tensor with memory of its own.
at::Tensor copy_of(const at::Tensor &tensor) {
    copied.fetch_add(tensor.nbytes(), std::memory_order_relaxed);
    return tensor.clone();
}

// A tensor as it can be read: in this machine's memory, without gaps, as plain numbers.
at::Tensor readable(const at::Tensor &tensor) {
    if (!tensor.defined()) {
        throw Refusal("one of its outputs is no tensor");
    }
    if (tensor.is_nested()) {
        throw Refusal("one of its outputs is a nested tensor; convert it within the model");
    }
    if (tensor.layout() != at::kStrided || tensor.is_quantized()) {
        throw Refusal("one of its outputs is a sparse or a quantised tensor; convert it within the model");
    }
    auto plain = tensor.cpu().resolve_conj().resolve_neg().contiguous();
    if (!plain.is_same(tensor)) {
        copied.fetch_add(plain.nbytes(), std::memory_order_relaxed);
    }
    return plain;
}

void run_model(const graphpiped_model &model, const graphpiped_input *inputs, uint32_t count, void (*release)(void *),
               graphpiped_output *outputs) {
    // Before the tensors, so that they go before these.
    const c10::InferenceMode no_gradients;
    const graphpiped::OfRun of_run;
    std::vector<at::Tensor> given;
    {
        Remaining remaining(inputs, count, release);
        given.reserve(count);
        use_threads(model.threads);
        while (remaining.any()) {
            auto input = remaining.take();
            given.push_back(model.writes() ? copy_of(input) : std::move(input));
        }
    }
    std::unique_lock<std::mutex> alone(model.one_at_a_time, std::defer_lock);
    if (model.has_state()) {
        alone.lock();
    }
    auto results = model.run(std::move(given));
    if (results.size() != model.outputs.size()) {
        throw Refusal("it gives " + std::to_string(results.size()) + " tensors, and its description names " +
                      std::to_string(model.outputs.size()));
    }
    for (auto &result : results) {
        result = readable(result);
        // Somebody else refers to its memory still, such as the model itself, which might write to it in a later run.
        if (result.use_count() > 1 || result.storage().use_count() > 1) {
            result = copy_of(result);
        }
    }
    std::vector<std::unique_ptr<at::Tensor>> owned;
    std::vector<graphpiped_output> described;
    owned.reserve(results.size());
    described.reserve(results.size());
    for (auto &result : results) {
        owned.push_back(std::make_unique<at::Tensor>(std::move(result)));
        auto *tensor = owned.back().get();
        described.push_back({
            reinterpret_cast<graphpiped_tensor *>(tensor),
            tensor->nbytes() > 0 ? tensor->const_data_ptr() : nullptr,
            tensor->sizes().data(),
            tensor->nbytes(),
            static_cast<uint32_t>(tensor->dim()),
            dtype_of(tensor->scalar_type()),
        });
    }
    // Nothing fails from here on; on failure every tensor is still in a vector.
    std::copy(described.begin(), described.end(), outputs);
    for (auto &tensor : owned) {
        static_cast<void>(tensor.release());
    }
}

// Runs `work`, and says what went wrong if it throws.
template <typename Work> bool guarded(graphpiped_failure *failure, Work work) noexcept {
    const auto fail = [failure](uint32_t fault, const char *words) {
        // The allocator of CPU memory throws an error of no type of its own.
        const bool no_memory = std::strstr(words, "can't allocate memory") != nullptr;
        *failure = {strdup(words), no_memory ? uint32_t{GRAPHPIPED_MACHINE} : fault};
        return false;
    };
    try {
        work();
        *failure = {nullptr, 0};
        return true;
    } catch (const std::bad_alloc &) {
        return fail(GRAPHPIPED_MACHINE, "there is not enough memory");
    } catch (const c10::OutOfMemoryError &error) {
        return fail(GRAPHPIPED_MACHINE, error.what_without_backtrace());
    } catch (const c10::Error &error) {
        return fail(GRAPHPIPED_MODEL, error.what_without_backtrace());
    } catch (const std::exception &error) {
        return fail(GRAPHPIPED_MODEL, error.what());
    } catch (...) {
        return fail(GRAPHPIPED_FRAMEWORK, "libtorch has thrown something that is no exception");
    }
}

graphpiped_model *open(const graphpiped_open *how, graphpiped_failure *failure) {
    graphpiped_model *model = nullptr;
    guarded(failure, [&] {
        static std::once_flag once;
        std::call_once(once, [] {
            graphpiped::provide_memory();
            // Operators of one model do not run beside each other; it can be said once per process.
            at::set_num_interop_threads(1);
        });
        const c10::InferenceMode no_gradients;
        use_threads(static_cast<int>(how->threads));
        if (how->kind == GRAPHPIPED_PACKAGE) {
            model = new Package(*how);
        } else {
            model = new Script(*how);
        }
    });
    return model;
}

char *describe(const graphpiped_model *model, graphpiped_failure *failure) {
    char *lines = nullptr;
    guarded(failure, [&] { lines = strdup(model->describe().c_str()); });
    return lines;
}

void run(const graphpiped_model *model, const graphpiped_input *inputs, uint32_t inputs_count, void (*release)(void *),
         graphpiped_output *outputs, graphpiped_failure *failure) {
    guarded(failure, [&] { run_model(*model, inputs, inputs_count, release, outputs); });
}

void close(graphpiped_model *model) {
    delete model;
    // Other models' next runs begin without, and that is all they lose.
    graphpiped::let_go_of_memory();
}

void free_tensor(graphpiped_tensor *tensor) { delete reinterpret_cast<at::Tensor *>(tensor); }

void free_words(char *words) { std::free(words); }

} // namespace

extern "C" __attribute__((visibility("default"))) const graphpiped_plugin *graphpiped_torch_plugin() {
    static const graphpiped_plugin plugin = {
        GRAPHPIPED_TORCH_ABI, 0, TORCH_VERSION, open, describe, run, close, free_tensor, free_words, copied_bytes,
        kept_bytes,
    };
    return &plugin;
}
