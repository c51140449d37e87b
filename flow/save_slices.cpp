#include "flow/save_slices.hpp"

#include <algorithm>

#include "flow/save_codec.hpp"

namespace weir::flow {

void SliceSaver::begin(bool delta) {
    if (!delta) {
        known_.clear();
        total_ = 0;
    }
    delta_ = delta && began_ns_ != 0;
    before_ns_ = delta_ ? began_ns_ : 0;
    began_ns_ = 0;
    slab_ = written_ = 0;
    done_ = false;
}

bool SliceSaver::unchanged(const FlowPair& pair, const Known& known) const {
    return known.id == pair.id && known.changes == pair.changes &&
           pair.hot[0].last_seen_ns < before_ns_ && pair.hot[1].last_seen_ns < before_ns_;
}

// Something to write, so that quiet slices cost nothing on the way.
bool SliceSaver::has_news(std::uint32_t slab) {
    bool any = false;
    const KnownSlab* known = slab < known_.size() ? known_[slab].get() : nullptr;
    table_.for_each_in_slab(scope_, slab, [&](FlowPair& pair) {
        any |= !known || !unchanged(pair, (*known)[table_.slot(pair) % slab_records]);
    });
    if (any || !known) return any;
    for (std::uint32_t i = 0; i < slab_records && !any; ++i) {
        const FlowPair* pair = table_.at(slab * slab_records + i);
        const Known& one = (*known)[i];
        any = one.id != 0 && (pair->live != record_live || pair->id != one.id);
    }
    return any;
}

void SliceSaver::write_gone(std::uint32_t slab, ByteWriter& out) {
    if (slab >= known_.size() || !known_[slab]) return;
    for (std::uint32_t i = 0; i < slab_records; ++i) {
        Known& one = (*known_[slab])[i];
        const FlowPair* pair = table_.at(slab * slab_records + i);
        if (one.id == 0 || (pair->live == record_live && pair->id == one.id)) continue;
        write_blob_tlv(out, BlobTlv::gone, [&] {
            out.u64(one.id);
            out.u32(one.key.vni);
            out.tuple(one.key.tuple);
        });
        one = {};
        --total_;
    }
}

void SliceSaver::write_slab(std::uint32_t slab, ByteWriter& out, std::uint64_t now_ns) {
    write_gone(slab, out);
    table_.for_each_in_slab(scope_, slab, [&](FlowPair& pair) {
        if (slab >= known_.size()) known_.resize(slab + 1);
        if (!known_[slab]) known_[slab] = std::make_unique<KnownSlab>();
        Known& known = (*known_[slab])[table_.slot(pair) % slab_records];
        if (delta_ && unchanged(pair, known)) return;
        write_blob_tlv(out, BlobTlv::record, [&] {
            write_record(out, pair, table_, now_ns);
            write_handle(out, table_.make_handle(pair));
        });
        total_ += known.id == 0;
        known = {pair.key, pair.id, pair.changes};
        ++written_;
        ++in_slice_;
    });
}

Result<bool> SliceSaver::next(std::uint64_t now_ns, std::vector<std::uint8_t>& out) {
    const Scope* scope = table_.scope(scope_);
    if (scope == nullptr)
        return Error{Errc::not_found, "scope " + std::to_string(scope_), {}, "is not open"};
    if (now_ns == 0 || now_ns < std::max(began_ns_, before_ns_))
        return invalid("now_ns", "time does not run backwards");
    if (began_ns_ == 0) began_ns_ = now_ns;
    const std::uint32_t slabs = table_.slabs();
    const std::uint32_t last = std::min(slabs, slab_ + slabs_per_slice);
    while (slab_ < last && !has_news(slab_)) ++slab_;
    if (slab_ < last) {
        in_slice_ = 0;
        write_blob(out, scope->name, now_ns, delta_, [&](ByteWriter& bytes) {
            while (slab_ < last && in_slice_ < records_per_slice)
                write_slab(slab_++, bytes, now_ns);
        });
    }
    if (total_ > max_saved_records)
        return Error{Errc::limit, std::string("port ") + scope->name, "flows",
                     "more than " + std::to_string(max_saved_records) + " cannot move at once"};
    done_ = slab_ >= slabs;
    return !done_;
}

}  // namespace weir::flow
