-- Tasks of the sandbox's world: all have rested for an hour, for every webhook was lost. SHOP-2 is red, and stays.
INSERT INTO tasks (plane_id, work_item_id, title, repo, branch, stage, created_at, updated_at)
SELECT plane_id, work_item_id, title, 'acme/shop', branch, stage, now() - interval '1 day', now() - interval '1 hour'
FROM (VALUES
    ('5f1c2f0e-3c55-4e1b-9d0e-2a64b1d8b001', 'SHOP-1', 'Basket keeps its items', 'feature/SHOP-1-basket', 'development'),
    ('5f1c2f0e-3c55-4e1b-9d0e-2a64b1d8b002', 'SHOP-2', 'Search by colour', 'feature/SHOP-2-search', 'development'),
    ('5f1c2f0e-3c55-4e1b-9d0e-2a64b1d8b003', 'SHOP-3', 'Rates of other carriers', 'feature/SHOP-3-rates', 'review'),
    ('5f1c2f0e-3c55-4e1b-9d0e-2a64b1d8b004', 'SHOP-4', 'Stock levels', 'feature/SHOP-4-stock', 'deploy'),
    ('5f1c2f0e-3c55-4e1b-9d0e-2a64b1d8b005', 'SHOP-5', 'Events instead of polling', 'feature/SHOP-5-events', 'architecture'),
    ('5f1c2f0e-3c55-4e1b-9d0e-2a64b1d8b006', 'SHOP-6', 'Coupons', 'feature/SHOP-6-coupons', 'analysis'))
    AS made (plane_id, work_item_id, title, branch, stage)
ON CONFLICT (plane_id) DO NOTHING;
