# The Debian package (./dev package): what is installed anyway, and the service.

set(service EXCLUDE_FROM_ALL COMPONENT service)  # cmake --install leaves it out
set(for_the_group DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE)
set(package_files ${CMAKE_CURRENT_LIST_DIR})
install(FILES ${package_files}/rotagate.service DESTINATION lib/systemd/system ${service})
# A store's address may have a password. Group rotagate: see postinst.
install(FILES ${package_files}/rotagate.yaml DESTINATION /etc/rotagate PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ ${service})
install(FILES ${package_files}/rotagate.logrotate DESTINATION /etc/logrotate.d RENAME rotagate ${service})
install(DIRECTORY DESTINATION /etc/rotagate/keys ${for_the_group} ${service})
install(DIRECTORY DESTINATION /etc/rotagate/tls ${for_the_group} ${service})

set(CPACK_GENERATOR DEB)
set(CPACK_INSTALL_CMAKE_PROJECTS "${CMAKE_BINARY_DIR};rotagate;ALL;/;${CMAKE_BINARY_DIR};rotagate;service;/")
set(CPACK_SET_DESTDIR ON)  # for /etc
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_CONTACT "The maintainers of rotagate <maintainers@rotagate.example>")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION httpd)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "reverse proxy that owns the login session")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"It stands, with TLS, in front of web apps, checks the session cookie on every
request, rotates it, tells the app who the user is, and forwards. Sessions
are kept in the process, on disk, or in Redis for several gateways.")
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, procps")  # procps has the kill of the service
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "logrotate, redis-server")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
foreach(file postinst prerm postrm conffiles)
    list(APPEND CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${package_files}/${file})
endforeach()
include(CPack)
