"""A real browser."""

from selenium import webdriver

from harness.deadlines import PATIENCE

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--ignore-certificate-errors"]


def chromium_at(gateway, folder):
    """A new one, whose `origin` is the gateway's. @param folder  for its profile"""
    options = webdriver.ChromeOptions()
    for flag in [*FLAGS, f"--user-data-dir={folder}/profile"]:
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options)
    driver.set_page_load_timeout(PATIENCE * 3)
    driver.set_script_timeout(PATIENCE * 3)
    driver.origin = "https://localhost:%d" % gateway.address[1]
    return driver
