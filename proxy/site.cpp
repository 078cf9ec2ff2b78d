#include "proxy/site.hpp"

namespace rotagate::proxy {

Site::Site(std::uint64_t its_number, std::shared_ptr<const config::Config> its_settings,
           std::vector<Upstream> its_upstreams)
    : number(its_number),
      settings(std::move(its_settings)),
      cookie_writer(config.session.cookie),
      upstreams(std::move(its_upstreams)),
      audience(config.session.cookie.name + '\n' + config.session.cookie.domain) {
    for (const config::Route& route : config.routes)
        for (const Upstream& upstream : upstreams)
            if (upstream.state->settings.name == route.upstream) pools.push_back(upstream.pool.get());
}

}  // namespace rotagate::proxy
